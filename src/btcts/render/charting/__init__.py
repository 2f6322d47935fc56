"""What charts are made of: a `plot` on its `axes`, in characters (`glyphs`, `canvas`) or in SVG (`svg`, `drawing`)."""
