"""What a chart is made of: `plot` on its `axes`, drawn in characters (`glyphs`, `canvas`) or in SVG (`svg`, `drawing`)."""
