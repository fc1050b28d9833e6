"""The administration over HTTP: JSON routes under `/api/v1/admin`, each over one function of the packages below."""
