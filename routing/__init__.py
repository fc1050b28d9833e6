"""Who handles a case and by when: rules, places, departments and the working clock."""
