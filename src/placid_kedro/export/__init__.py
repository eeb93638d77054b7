"""Objects for other programs: a textured mesh, compact splat files, pictures."""
