"""The layouts in which photographs and metadata come, each read into the same table.

A module for each layout, registered in `recognise`: `find` returns the files by which it is
recognised, `read` what `lesions.datasets.layouts.found.Found` holds.
"""
