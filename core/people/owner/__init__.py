"""The owner: the credential made at first start, and the browsers that have signed in.

credential   made, checked, changed         session      begun, listed, ended: records of the directory
statement    cookies and one-time codes, signed          browser      what a browser says of itself, in words
fields       all of it over GraphQL         attempts     how wrong credentials are slowed down
"""
