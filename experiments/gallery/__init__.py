"""The gallery: every claim of the project in one table, and a site of it.

collect    work directories -> gallery.json, and what changed since another one
compute    the quick default of every experiment, two at a time
stage      docs, results, API and notebooks as the pages of one site
site       pages -> a static site that opens from a disk
"""
