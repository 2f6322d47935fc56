"""`serve`: the last look at Redis over HTTP, for people, programs and Prometheus; needs `btcts[serve]`."""
