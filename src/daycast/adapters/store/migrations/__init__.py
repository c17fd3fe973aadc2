"""How the store's tables came to be, a file per revision.

To change the schema, change ``tables`` and add ``versions/0002_what_it_does.py`` with ``revision = "0002"`` and
``down_revision = "0001"``. Stores are brought up to it when they are next opened. SQLite
can't alter a column: ``op.batch_alter_table`` makes the table anew.
"""
