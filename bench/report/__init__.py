"""Records and what is published from them alone: tables, figures, the leaderboard page."""
