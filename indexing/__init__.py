"""Documents into chunks, vectors and stores, kept in step with their sources.

Rooms, each using those before it: `chunks`, `files`, `stores`, `reduction`; `catalog` (what is
indexed, in SQL); `published` (copies that readers read); `versions` (which index answers, and where
it is); `sync` (sources and versions kept in step); `backup`.
"""
