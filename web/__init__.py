"""HTTP skins over commands and queries: API now, pages later."""
