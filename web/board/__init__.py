"""The board of the operations centre: figures of a period and the stock at this moment, each opening its cases."""
