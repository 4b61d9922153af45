"""The owner: the credential made at first start, and the browsers that have signed in.

credential   made, checked, changed
session      begun, listed, ended: records of the directory
statement    cookies and one-time codes, signed
browser      describes a browser from what it sends
attempts     slows down wrong credentials
"""
