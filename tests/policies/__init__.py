"""Policy files that tests state."""

from pathlib import Path

#: Every hour counts, so that due moments can be compared with wall-clock time.
AROUND_THE_CLOCK = Path(__file__).with_name("around_the_clock.yaml")
#: One budget in office hours.
OFFICE_HOURS = Path(__file__).with_name("office_hours.yaml")
