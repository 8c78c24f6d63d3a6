"""A study of the judge: thousands of rollouts that never happened, beside what others do."""
