"""Where events come from: the landing folder, its file formats, and the layouts declared for them."""
