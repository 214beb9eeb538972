"""The studio: a page in the browser that shows a net learn, and the chain rule at work.

The engine (every module here but ``page`` and ``server``) is plain Python over the library and
knows nothing of the web; ``README.md`` beside this file is the map. It needs the extra
``chainrule[studio]``.
"""
