"""Figures and feeds for the operations centre, read from the journal."""
