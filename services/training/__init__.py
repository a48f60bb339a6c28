"""Training: courses, who takes them, and how that ends (L8, L16).

Owns the catalogue, training contacts, enrolments and attempts, and what it needs to know of people. Handles
`course.completion_reported` and `person.changed`; emits `enrolment.confirmed`, `course.completed` and
`retraining.assigned`; answers the gateway's calls.
"""
