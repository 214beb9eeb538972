"""The page: one file a part, over the engine; ``README.md`` one floor up is the map.

Every module here needs NiceGUI; nothing outside imports it but ``chainrule.studio.server``.
"""
