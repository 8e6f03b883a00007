"""The intake: reads topics of other systems, and writes their events to `events`, keyed by user.

Start with `process`, the life of `ouzel intake`. `rekeying` is pure: it makes outputs of records.
`merging` puts the records of several topics in order of time, `consuming` reads them as a member
of a group of its own, and `delivering` writes the outputs and commits the offsets.
"""
