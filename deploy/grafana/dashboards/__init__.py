"""The dashboards: what each shows (`service_desk.py`, `platform.py`), and how a panel is built (`panels.py`)."""
