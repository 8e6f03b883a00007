"""The bytes of a fetched batch, and the records in them. Nothing here needs a broker.

Start with `record`, the form of a record that is read. `batches` checks the batches of a fetch and
decompresses them with `codecs`; `unreadable` is what takes the place of a batch that is damaged.
"""
