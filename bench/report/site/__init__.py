"""What is looked at: the leaderboard page, its template and pictures, the table inside a README."""
