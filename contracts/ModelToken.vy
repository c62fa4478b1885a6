# pragma version 0.4.3
