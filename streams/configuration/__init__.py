"""The parts of the settings, by subject, and what declares and explains them.

`streams.settings` puts them together. Start with `fields`, which declares a setting with its
meaning; `errors` turns a wrong value into one line that says what is allowed.
"""
