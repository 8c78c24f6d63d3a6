"""`make rehearse-study`: rehearsals of honest candidates and of every fault, counted."""
