"""Messages about everything and nothing, invented by us: what a topic of one's own is told apart from.

They do two things. Their mean and spread say what is common to all financial messages, so that similarity counts
what is particular to a topic; and they are the negatives against which precision is estimated. They are spread over
the twenty topics of the classifier, in the styles of wires, headlines and chatter, on invented companies.
"""

from __future__ import annotations

GENERIC: tuple[str, ...] = (
    # analyst views
    "Fennick Labs raised to overweight at Corvane Securities, target 84",
    "Brokers trim their targets for Alderney Foods after the spring update",
    "$KTLC started with a hold, analysts see little room above 40",
    "Two houses turn cautious on Glasswing Air, citing rich valuation",
    "Price target on Larkspur Pharma lifted to 61 from 52",
    "Why one analyst thinks Bracken Motors is still too cheap",
    # central banks
    "Central bank leaves its key rate unchanged and says patience is warranted",
    "Governor Halvorsen signals another quarter point in September",
    "Minutes show policymakers split over the pace of balance sheet reduction",
    "Rate setter: inflation is not yet where we want it to be",
    "Money markets now price two cuts by year end",
    "The bank will buy bonds for longer than planned, says its chief economist",
    # company and product news
    "Juniper Lane Stores opens its two hundredth shop in Harwick",
    "Kestrel Telecom switches on its new network in four northern cities",
    "Glasswing Air adds a daily flight to the islands from June",
    "Bracken Motors shows an electric van with a range of 500 kilometres",
    "Alderney Foods brings back its discontinued ginger biscuit",
    "Fennick Labs presents a smaller version of its home assistant",
    "Harrowgate Insurance moves its headquarters to the riverside",
    "Ironfield Steel commissions a second furnace at Port Marrow",
    "New flagship phone from Ostrava Devices comes in three colours",
    "Eastwater Energy signs a ten year supply agreement with the city",
    # debt
    "Ten year yields climb to their highest since March",
    "Dunmore Bank places 750 million of senior notes due 2031",
    "Rating agency affirms Cobalt Ridge Mining at BBB with a stable outlook",
    "Treasury sells 30 billion of five year paper to solid demand",
    "Ironfield Steel refinances its revolving credit facility",
    "Spreads on junk bonds narrow for a fourth week",
    # dividends
    "Eastwater Energy declares a quarterly dividend of 0.42 per share",
    "Harrowgate Insurance pays a special dividend of one crown",
    "Alderney Foods keeps its payout unchanged",
    "Shares of Kestrel Telecom trade without dividend from Thursday",
    # earnings
    "Bracken Motors reports second quarter profit above expectations",
    "Larkspur Pharma misses revenue estimates and narrows its guidance",
    "Juniper Lane Stores: like for like sales up 3.1% in the third quarter",
    "$FNKL earnings tonight after the bell, what to watch",
    "Glasswing Air swings to a loss as fuel costs bite",
    "Cobalt Ridge Mining posts record half year earnings",
    "Dunmore Bank: net interest income flat, provisions lower",
    # energy
    "Oil slips below 70 as inventories build more than forecast",
    "Gas prices jump on a cold forecast for the weekend",
    "Producers agree to keep output steady until spring",
    "Rig count falls by six in the week",
    "Crude steadies after a volatile session",
    # filings and financial results
    "Fennick Labs files its annual report with the regulator",
    "Form filed: Ironfield Steel, statement of changes in beneficial ownership",
    "Alderney Foods publishes restated segment figures for last year",
    "Kestrel Telecom: total voting rights at the end of the month",
    "Larkspur Pharma registers 4 million shares for its employee plan",
    # currencies
    "The dollar weakens against all its major peers",
    "Crown touches a seven month low before trimming losses",
    "Sterling flat ahead of the retail figures",
    "Euro firms as traders square positions",
    "Emerging currencies slide for a third day",
    # general news and opinion
    "A storm closes schools and roads along the coast",
    "Opinion: the city needs trains more than towers",
    "Museum of shipping reopens after four years of works",
    "The river festival draws a record crowd on Sunday",
    "Travel: five quiet valleys for a long weekend",
    "Football: Harwick win the derby with a late goal",
    "Researchers find an early map of the harbour in an attic",
    "Parents complain about crowded buses in the morning",
    "New series about a bakery is the surprise of the season",
    "Why we sleep badly when the moon is full, or do we",
    # metals
    "Gold holds near 1,900 as yields ease",
    "Copper rises on hopes for demand from builders",
    "Iron ore futures fall after port stocks swell",
    "Silver outperforms for a second week",
    "Cobalt Ridge Mining finds lithium at its northern licence",
    # listings
    "Ostrava Devices sets the range for its initial offering at 14 to 16",
    "Pellworm Coffee rises 20% on its first day of trading",
    "Third flotation withdrawn this month as appetite fades",
    "Savings platform Hollin plans a listing next spring",
    # law and regulation
    "Court dismisses a patent claim against Larkspur Pharma",
    "Antitrust authority opens a review of the supermarket merger",
    "Harrowgate Insurance fined for late disclosures",
    "New capital rules for mid-sized banks from January",
    "Kestrel Telecom settles a tax case with the state for 60 million",
    "Regulator consults on tighter rules for short sellers",
    # deals
    "Alderney Foods buys a maker of frozen vegetables for 320 million",
    "Ironfield Steel in talks to sell its wire business",
    "Private equity firm Torvane offers 22 a share for Juniper Lane Stores",
    "Eastwater Energy takes a 15% stake in a wind farm developer",
    "Merger of the two port operators completed",
    "Start-up Lumenwerk raises 40 million in a round led by Fennick Labs",
    # economy
    "Unemployment rate edges down to 4.1%",
    "Consumer prices rise 0.3% in May, in line with forecasts",
    "Factory orders fall for the second month running",
    "Retail sales beat forecasts as households spend on holidays",
    "Economy grew 0.4% in the first quarter, statistics office says",
    "House prices cool in most regions",
    "Services activity expands at its fastest in a year",
    "Trade deficit widens on higher imports of machinery",
    # markets
    "Stocks close higher, led by banks and builders",
    "Futures point to a weak open",
    "Wall of worry: index at a record and nobody is happy",
    "Volatility gauge drops to its lowest since winter",
    "Asian shares mixed in thin holiday trading",
    "Small caps lag as investors hide in the largest names",
    "Funds pulled 2.3 billion out of equities last week",
    # politics
    "Parliament passes the budget after a night of debate",
    "Prime minister reshuffles the cabinet ahead of the vote",
    "Tariffs on imported tiles to be lifted in autumn",
    "Opposition leads by four points in a new poll",
    "Foreign ministers meet in Aldhaven for two days of talks",
    "Mayor promises cheaper rents and more trees",
    # personnel
    "Glasswing Air names Ines Dalby chief executive",
    "Finance chief of Bracken Motors to step down in December",
    "Dunmore Bank appoints two independent directors",
    "Founder of Pellworm Coffee returns as chairman",
    "Head of research leaves Larkspur Pharma after nine years",
    # stock commentary and chatter
    "$OSTM looks ready to break out, watching 55",
    "Bought a few more $BRKM on the dip, holding for years",
    "Chart of the day: Kestrel Telecom back at its trend line",
    "Three stocks I would not sell in a downturn",
    "good morning traders, what is on your list today?",
    "Missed the move in $CBRM, oh well, next one",
    "My portfolio is up 6% this year, how about yours",
    "Earnings season bingo: who will say headwinds first",
    "lol that candle",
    "Unusual options activity in $EWEN into Friday",
    "Watch the 200 day average on $JLST here",
    "Not advice, just thinking aloud about insurers",
    # price moves
    "Shares of Fennick Labs jump 9% in early trading",
    "Larkspur Pharma sinks 14% to a two year low",
    "Ironfield Steel among the top gainers at midday",
    "$ALDF -3.2% on heavy volume",
    "Pellworm Coffee halted, then up 11%",
    "Harrowgate Insurance closes at an all time high",
)
"""The messages; their order carries no meaning."""
