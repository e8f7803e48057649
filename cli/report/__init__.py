"""Reports of nights as pictures and pages; needs the extra ``report``: matplotlib and Jinja."""
