"""Who owns what: names, markers, and THE RULE of what may be dropped. Pure functions, no SQL.

All rooms import this one, and it imports none. Start with `prove` in disposable.py: it is the rule.
"""
