"""The operations of the API: one module for each subject, with a list ``OPERATIONS`` at its end.

`serving.app` makes the routes and the OpenAPI document from these lists. Start reading at
`recommendations`.
"""
