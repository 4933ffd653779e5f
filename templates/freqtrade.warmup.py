"""
Run once in the zygote of the template `freqtrade`, after the imports, to do what every bot does anyway: what that leaves in
memory is shared by all bots forked later. A made-up bot trades on a made-up exchange: no network, no thread, nothing written,
and nothing of it is alive afterwards. Written for FreqTrade 2026.9. With another version a step may fail; it is then named,
and its saving is lost.

Figures are of private MiB per bot, Python 3.13, five pairs, huge pages off: 33 without any of this, 26 with all of it, and
0.12 instead of 0.15 s of CPU until the bot answers.
"""

import asyncio
import gc
import logging
import sys
import time
import warnings
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from unittest.mock import patch

PAIR = "BTC/USDT"
PASSWORD = "warmup"
PRICING = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
# Nobody is there, should a version of ccxt not ask the made-up exchange.
NOBODY = dict.fromkeys(("public", "private", "sapi", "web"), "http://127.0.0.1:1/api/v3")
CONFIG = {
    **{"dry_run": True, "dry_run_wallet": 1000, "initial_state": "running", "db_url": "sqlite://"},
    **{"stake_currency": "USDT", "stake_amount": 100, "tradable_balance_ratio": 0.99, "max_open_trades": 3},
    **{"strategy": "SampleStrategy", "timeframe": "5m", "process_only_new_candles": False},
    "entry_pricing": PRICING,
    "exit_pricing": PRICING,
    "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False},
    "exchange": {
        **{"name": "binance", "key": "", "secret": "", "enable_ws": False},
        "ccxt_config": {"options": {"fetchMarkets": ["spot"]}, "urls": {"api": NOBODY}},
        **{"pair_whitelist": [PAIR], "pair_blacklist": []},
    },
    "pairlists": [{"method": "StaticPairList"}],
    "telegram": {"enabled": False, "token": "", "chat_id": ""},
    "api_server": {
        **{"enabled": True, "listen_ip_address": "127.0.0.1", "listen_port": 8080, "username": PASSWORD, "password": PASSWORD},
        **{"jwt_secret_key": "of the made-up bot, opens nothing at all", "ws_token": PASSWORD},
    },
    "internals": {},
}


def warmup() -> list[str]:
    """Says what failed, one sentence each; never raises."""
    faults: list[str] = []

    def attempt(step, *arguments):
        try:
            return step(*arguments)
        except Exception as error:
            faults.append(f"{step.__name__}: {type(error).__name__}: {error}")

    def take_steps() -> None:
        attempt(read_command_line)
        bot = attempt(build_bot)
        if bot is not None:
            for step in (start_bot, trade, answer_requests, close_bot):
                attempt(step, bot)

    def in_surroundings() -> None:
        with ExitStack() as stack:
            for surroundings in (silent, untouched, exchange_made_up):
                stack.enter_context(surroundings())
            take_steps()
            # The zygote collects no garbage by itself, and a bot refers to itself.
            gc.collect()

    attempt(in_surroundings)
    return faults


# Steps. What each saves was measured in this order.


def read_command_line() -> None:
    """Saves 1.5 MiB: argparse and the options of all subcommands."""
    from freqtrade.commands import Arguments

    Arguments(["trade", "--config", "config.json", "--userdir", "user_data", "--sd-notify"]).get_parsed_arg()


def build_bot():
    """Saves 1 MiB: schema, ccxt's description of the exchange (twice), mappers and tables, the application of the API."""
    from freqtrade.freqtradebot import FreqtradeBot

    return FreqtradeBot(sample_config())


def start_bot(bot) -> None:
    """Saves 2.5 MiB: the database's statements."""
    bot.startup()


def trade(bot) -> None:
    """Saves 1 MiB: candles, indicators, an order in and one out."""
    strategy = bot.strategy
    strategy.populate_entry_trend = lambda frame, _: frame.assign(enter_long=1)
    strategy.populate_exit_trend = lambda frame, _: frame
    bot.process()
    strategy.populate_entry_trend = lambda frame, _: frame
    strategy.populate_exit_trend = lambda frame, _: frame.assign(exit_long=1)
    bot.process()


def answer_requests(bot) -> None:
    """Saves 2 MiB: routes, their models, and the modules that uvicorn and anyio import by name."""
    import uvicorn

    (api,) = bot.rpc.registered_modules
    uvicorn.Config(api.app, log_config=None).load()
    for path in ("ping", "show_config", "status", "balance", "profit"):
        status = bot.exchange.loop.run_until_complete(request(api.app, f"/api/v1/{path}"))
        if status != 200:
            raise RuntimeError(f"{path} is answered with {status}")


async def request(app, path: str) -> int:
    """Hands a GET to an ASGI application, as its server would."""
    credentials = b64encode(f"{PASSWORD}:{PASSWORD}".encode())
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"},
        **{"path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "state": {}},
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080)},
        "headers": [(b"host", b"warmup"), (b"authorization", b"Basic " + credentials)],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


def close_bot(bot) -> None:
    """Closes the event loop and the database."""
    from freqtrade.persistence import Trade

    engine = Trade.session.get_bind()
    bot.cleanup()
    Trade.session.remove()
    engine.dispose()


# Surroundings

MISSING = object()


@contextmanager
def silent():
    """No word in any log, and no warning counted as already given."""
    level = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextmanager
def untouched():
    """Puts back what a bot keeps in classes, and writes no bytecode of the strategy that is loaded."""
    from freqtrade.persistence import Order, PairLocks, Trade
    from freqtrade.persistence.custom_data import _CustomData
    from freqtrade.persistence.key_value_store import _KeyValueStoreModel
    from freqtrade.persistence.pairlock import PairLock
    from freqtrade.persistence.wallet_history import WalletHistory
    from freqtrade.rpc.api_server import ApiServer
    from freqtrade.rpc.api_server.webserver_bgwork import ApiBG

    kept = [
        *((model, ["session"]) for model in (Trade, Order, PairLock, WalletHistory, _CustomData, _KeyValueStoreModel)),
        (PairLocks, ["timeframe"]),
        (ApiServer, ["_ApiServer__instance", "_ApiServer__initialized", "_config", "_has_rpc", "_rpc"]),
        (ApiBG, ["exchanges", "jobs"]),
        (sys, ["dont_write_bytecode"]),
    ]
    before = [(owner, name, vars(owner).get(name, MISSING)) for owner, names in kept for name in names]
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        for owner, name, value in before:
            if value is not MISSING:
                setattr(owner, name, value)
            elif name in vars(owner):
                delattr(owner, name)
        asyncio.set_event_loop(None)


@contextmanager
def exchange_made_up():
    """Answers in place of the network, and the API of the made-up bot listens nowhere and starts no thread."""
    import anyio.to_thread
    import ccxt
    import ccxt.async_support
    from freqtrade.rpc.api_server import ApiServer

    def fetch(_, url, *__, **___):
        return answer(url)

    async def fetch_async(_, url, *__, **___):
        return answer(url)

    async def at_once(function, *arguments, **_):
        return function(*arguments)

    with (
        patch.object(ccxt.Exchange, "fetch", fetch),
        patch.object(ccxt.async_support.Exchange, "fetch", fetch_async),
        patch.object(ApiServer, "start_api", lambda _: None),
        patch.object(anyio.to_thread, "run_sync", at_once),
    ):
        yield


def sample_config() -> dict:
    import freqtrade.templates
    from freqtrade.enums import RunMode

    config = deepcopy(CONFIG)
    nowhere = Path("/nonexistent")
    config.update(
        runmode=RunMode.DRY_RUN,
        original_config=deepcopy(CONFIG),
        strategy_path=str(Path(freqtrade.templates.__file__).parent),
        user_data_dir=nowhere,
        datadir=nowhere,
    )
    return config


# Binance's public answers, for one pair


def answer(url: str):
    path, _, query = url.partition("?")
    now = int(time.time() * 1000)
    match path.rsplit("/", 1)[-1]:
        case "exchangeInfo":
            return {"timezone": "UTC", "serverTime": now, "rateLimits": [], "exchangeFilters": [], "symbols": [MARKET]}
        case "klines":
            return [candle(now - now % 300_000 - 300_000 * age) for age in reversed(range(500))]
        case "depth":
            return {"lastUpdateId": now, "bids": [["99.9", "50"]] * 20, "asks": [["100.1", "50"]] * 20}
        case "time":
            return {"serverTime": now}
        case _:
            return TICKER if "symbol=" in query else [TICKER]


def candle(opened: int) -> list:
    price = 100 + opened // 300_000 % 17 / 10
    low, high, close = f"{price - 1}", f"{price + 1}", f"{price + 0.5}"
    return [opened, f"{price}", high, low, close, "1000", opened + 299_999, "100000", 100, "1000", "100000", "0"]


STEP = "0.00001"
MARKET = {
    **{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8},
    **{"quoteAsset": "USDT", "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET", "STOP_LOSS_LIMIT"]},
    **{"icebergAllowed": True, "ocoAllowed": True, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False},
    **{"permissions": ["SPOT"], "permissionSets": [["SPOT"]]},
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": STEP, "maxPrice": "1000000", "tickSize": STEP},
        {"filterType": "LOT_SIZE", "minQty": STEP, "maxQty": "9000000", "stepSize": STEP},
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000", "avgPriceMins": 5},
    ],
}
TICKER = {
    **{"symbol": "BTCUSDT", "price": "100", "priceChange": "1", "priceChangePercent": "1", "weightedAvgPrice": "100"},
    **{"prevClosePrice": "99", "lastPrice": "100", "lastQty": "1", "openPrice": "99", "highPrice": "101", "lowPrice": "98"},
    **{"bidPrice": "99.9", "bidQty": "50", "askPrice": "100.1", "askQty": "50"},
    **{"volume": "1000000", "quoteVolume": "100000000", "openTime": 1, "closeTime": 86_400_001, "count": 1000},
}
