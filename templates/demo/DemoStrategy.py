from pandas import DataFrame

from freqtrade.strategy import IStrategy


class DemoStrategy(IStrategy):
    """
    Shows within a minute that a bot trades: in while the price is above its average of the last five
    candles, out when it falls below. Made for the paper exchange; it has no idea of profit.
    """

    INTERFACE_VERSION = 3

    timeframe = "1m"
    startup_candle_count = 10
    process_only_new_candles = True

    minimal_roi = {"0": 0.005}
    stoploss = -0.05

    order_types = {
        "entry": "market",
        "exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": False,
    }

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["average"] = dataframe["close"].rolling(5).mean()
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["close"] > dataframe["average"], "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["close"] < dataframe["average"], "exit_long"] = 1
        return dataframe
