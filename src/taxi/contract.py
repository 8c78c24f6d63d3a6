"""The data contract: the only place that states a column's type, range and use."""

from datetime import datetime

from preflight.contract import Column, Contract

FIRST, LAST = datetime(2009, 1, 1), datetime(2099, 12, 31, 23, 59, 59)

CONTRACT = Contract(
    name="taxi-trips",
    version=1,
    columns=(
        Column(
            "pickup_at",
            "time",
            "When the trip starts: local New York time, without an offset",
            minimum=FIRST,
            maximum=LAST,
            known=True,
            role="time",
            example="2021-02-03T08:15:00",
        ),
        Column(
            "pickup_zone",
            "integer",
            "TLC zone where the trip starts; 264 and 265 stand for an unknown zone",
            minimum=1,
            maximum=265,
            known=True,
            example=74,
        ),
        Column(
            "dropoff_zone",
            "integer",
            "TLC zone where the trip ends; 264 and 265 stand for an unknown zone",
            minimum=1,
            maximum=265,
            known=True,
            example=75,
        ),
        Column(
            "trip_distance",
            "number",
            "Length of the planned route. Records hold the metered length, known only at the "
            "end: a caller gives the route's length instead",
            unit="mile",
            minimum=0.01,
            maximum=100.0,
            known=True,
            example=1.9,
        ),
        Column(
            "rider_id",
            "integer",
            "Who rides. TLC records have none: it is assigned by a seeded hash",
            minimum=0,
            maximum=4_999,
            sensitive=True,
            role="entity",
        ),
        Column(
            "duration_minutes",
            "number",
            "From pick-up to drop-off",
            unit="minute",
            minimum=1.0,
            maximum=60.0,
            role="target",
        ),
        Column("dropoff_at", "time", "When the trip ended", minimum=FIRST, maximum=LAST),
        Column("vendor", "integer", "Who supplied the meter", allowed=(1, 2, 5, 6)),
        Column(
            "passenger_count",
            "integer",
            "Passengers, as the driver typed it",
            minimum=0,
            maximum=9,
            nullable=True,
        ),
        Column(
            "rate_code",
            "integer",
            "Final rate code, known when the trip ends",
            allowed=(1, 2, 3, 4, 5, 6, 99),
            nullable=True,
        ),
        Column(
            "payment_type",
            "integer",
            "How the passenger paid, known when the trip ends",
            allowed=(0, 1, 2, 3, 4, 5, 6),
            nullable=True,
        ),
        Column(
            "trip_type",
            "integer",
            "Hailed on the street (1) or dispatched (2)",
            allowed=(1, 2),
            nullable=True,
        ),
        Column(
            "fare_amount",
            "number",
            "Metered fare",
            unit="US dollar",
            minimum=0.0,
            maximum=1_000.0,
        ),
        Column(
            "total_amount",
            "number",
            "What the passenger was charged, without cash tips",
            unit="US dollar",
            minimum=0.0,
            maximum=2_000.0,
        ),
    ),
    identity=("pickup_at", "dropoff_at", "pickup_zone", "dropoff_zone", "trip_distance"),
    slices=("pickup_borough", "day_part", "vendor"),
    target_bins=(2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0),
)
