"""The administration of the rules' tables: reads and edits of departments, fields, areas, calendars, rule sets."""
