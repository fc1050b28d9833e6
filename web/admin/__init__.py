"""The pages of the administration: staff, departments, fields, areas, calendars and rule sets."""
