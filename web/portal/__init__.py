"""The citizen's pages: report, follow, what is published."""
