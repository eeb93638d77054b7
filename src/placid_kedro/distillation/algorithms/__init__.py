"""The distillation algorithms, one a file (Sec. 3.2, 4.3, App. C)."""
