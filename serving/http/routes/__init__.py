"""The operations of the API: one module per subject, with its operations in a list at its end.

`serving.app` makes the routes and the OpenAPI document from these lists. Start reading at
`recommendations`.
"""
