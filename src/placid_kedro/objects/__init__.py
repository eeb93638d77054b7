"""Object libraries: from files of many origins to a rendered, filtered and documented training set."""
