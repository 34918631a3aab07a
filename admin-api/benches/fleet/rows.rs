//! The rows of the table: what is measured, how, and what it is to reach.

use crate::lab::{Lab, Setting, number, quantile};
use anyhow::Result;
use serde_json::Value;

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    AtLeast(f64),
    AtMost(f64),
    /// It is only told.
    None,
}

/// One figure of a row.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) aim: Aim,
}

/// One or more figures that are measured together, in their order.
pub(crate) struct Row {
    /// Its name for `--only`.
    pub(crate) id: &'static str,
    pub(crate) figures: &'static [Figure],
    pub(crate) measure: fn(&mut Lab) -> Result<Vec<f64>>,
}

/// PostgreSQL, one server.
const ONE: Setting = Setting {
    postgres: true,
    servers: 1,
    tls: false,
    nats: false,
};
const THREE: Setting = Setting { servers: 3, ..ONE };
const SQLITE: Setting = Setting { postgres: false, ..ONE };

/// 200-byte blocks, as `fastchat-load` sends them where it is not told otherwise.
const PAIRS: &str = "pairs --pairs 100 --window 32";

/// Connections of the idle row; of an account at most as many as it may have devices.
const IDLE: &str = "idle --connections 5000 --per-account 8";

/// All of them. Rows of one setting stand together: they share its fleet.
pub(crate) const ROWS: &[Row] = &[
    // The first of its fleet: after a million messages the database is still at work for a while.
    Row {
        id: "latency-postgres",
        figures: &[
            Figure {
                what: "1,000 messages/s offered, PostgreSQL, one server: send to deliver, p50",
                unit: "ms",
                aim: Aim::AtMost(0.9),
            },
            Figure {
                what: "the same, p99",
                unit: "ms",
                aim: Aim::AtMost(4.0),
            },
        ],
        measure: |lab| {
            let report = lab.run(ONE, "pairs --pairs 100 --rate 1000", 20)?;
            Ok(vec![
                quantile(&report, "send_to_deliver_us", "p50")? / 1_000.0,
                quantile(&report, "send_to_deliver_us", "p99")? / 1_000.0,
            ])
        },
    },
    Row {
        id: "pairs-postgres",
        figures: &[
            Figure {
                what: "100 pairs × window 32, PostgreSQL with fsync, one server: delivered",
                unit: "/s",
                aim: Aim::AtLeast(40_000.0),
            },
            Figure {
                what: "CPU of server and database per 1,000 messages of that",
                unit: "s",
                aim: Aim::AtMost(0.035),
            },
        ],
        measure: |lab| {
            let report = lab.one_server(pairs_of_one_server)?;
            Ok(vec![number(&report, "delivered_per_s")?, cpu(&report)?])
        },
    },
    Row {
        id: "many-pairs-postgres",
        figures: &[Figure {
            what: "1,000 pairs × window 4, the same: delivered",
            unit: "/s",
            aim: Aim::AtLeast(35_000.0),
        }],
        measure: |lab| {
            let report = lab.run(ONE, "pairs --pairs 1000 --window 4", 10)?;
            Ok(vec![number(&report, "delivered_per_s")?])
        },
    },
    Row {
        id: "group",
        figures: &[Figure {
            what: "one group of 100 members, four of whom send, PostgreSQL, one server: deliveries",
            unit: "/s",
            aim: Aim::AtLeast(300_000.0),
        }],
        measure: |lab| {
            let report = lab.run(ONE, "group --members 100 --senders 4 --window 8", 10)?;
            Ok(vec![number(&report, "delivered_per_s")?])
        },
    },
    Row {
        id: "resumes",
        figures: &[Figure {
            what: "resumes on new connections, PostgreSQL, one server",
            unit: "/s",
            aim: Aim::AtLeast(5_000.0),
        }],
        measure: |lab| {
            let server = lab.server(ONE)?;
            let report = lab.run(ONE, &format!("reconnect --concurrency 64 --server {server}"), 10)?;
            Ok(vec![number(&report, "operations_per_s")?])
        },
    },
    Row {
        id: "hostile",
        figures: &[
            Figure {
                what: "most that was offered evenly over 100 pairs and delivered within 100 ms (p99), PostgreSQL, one server",
                unit: "/s",
                aim: Aim::None,
            },
            Figure {
                what: "half of that offered: send to deliver, p99",
                unit: "ms",
                aim: Aim::None,
            },
            Figure {
                what: "the same beside 500 clients that never read and 5,000 that never finish a frame",
                unit: "ms",
                aim: Aim::None,
            },
            Figure {
                what: "how much longer that is",
                unit: "%",
                aim: Aim::AtMost(10.0),
            },
        ],
        measure: |lab| {
            let capacity = capacity(lab)?;
            let rate = capacity / 2.0;
            let report = lab.run(ONE, &format!("hostile --rate {rate:.0} --readers 500 --unfinished 5000"), 20)?;
            let p99 = |report| Ok::<_, anyhow::Error>(quantile(report, "send_to_deliver_us", "p99")? / 1_000.0);
            let (alone, beside) = (p99(&report["hostile"]["without"])?, p99(&report)?);
            Ok(vec![capacity, alone, beside, (beside / alone - 1.0) * 100.0])
        },
    },
    // The last of its fleet: its places stay reserved for a while.
    Row {
        id: "assigns",
        figures: &[Figure {
            what: "assigns on new connections",
            unit: "/s",
            aim: Aim::AtLeast(8_000.0),
        }],
        measure: |lab| {
            lab.lift_budgets(ONE)?;
            let report = lab.run(ONE, "assign --concurrency 64", 10)?;
            Ok(vec![number(&report, "operations_per_s")?])
        },
    },
    Row {
        id: "spread-mesh",
        figures: &[
            Figure {
                what: "100 pairs × window 32 spread over 3 servers, PostgreSQL, mesh: delivered, of the one-server figure",
                unit: "%",
                aim: Aim::AtLeast(60.0),
            },
            Figure {
                what: "CPU per 1,000 messages beyond the one-server figure",
                unit: "s",
                aim: Aim::AtMost(0.03),
            },
        ],
        measure: |lab| spread(lab, THREE),
    },
    Row {
        id: "spread-nats",
        figures: &[
            Figure {
                what: "100 pairs × window 32 spread over 3 servers, PostgreSQL, NATS: delivered, of the one-server figure",
                unit: "%",
                aim: Aim::AtLeast(60.0),
            },
            Figure {
                what: "CPU per 1,000 messages, the broker's too, beyond the one-server figure",
                unit: "s",
                aim: Aim::AtMost(0.03),
            },
        ],
        measure: |lab| spread(lab, Setting { nats: true, ..THREE }),
    },
    Row {
        id: "pairs-sqlite",
        figures: &[Figure {
            what: "100 pairs × window 32, SQLite, one server: delivered",
            unit: "/s",
            aim: Aim::AtLeast(18_000.0),
        }],
        measure: |lab| {
            let report = lab.run(SQLITE, PAIRS, 10)?;
            Ok(vec![number(&report, "delivered_per_s")?])
        },
    },
    Row {
        id: "idle",
        figures: &[Figure {
            what: "memory of the server per idle signed-in connection, plain",
            unit: "KiB",
            aim: Aim::AtMost(6.0),
        }],
        measure: |lab| idle(lab, SQLITE),
    },
    Row {
        id: "idle-tls",
        figures: &[Figure {
            what: "the same with TLS",
            unit: "KiB",
            aim: Aim::AtMost(20.0),
        }],
        measure: |lab| idle(lab, Setting { tls: true, ..SQLITE }),
    },
];

fn pairs_of_one_server(lab: &mut Lab) -> Result<Value> {
    lab.run(ONE, PAIRS, 10)
}

/// Both ends of each pair on different servers, against all on one server in the same run.
fn spread(lab: &mut Lab, setting: Setting) -> Result<Vec<f64>> {
    let one = lab.one_server(pairs_of_one_server)?;
    let spread = lab.run(setting, &format!("{PAIRS} --spread"), 10)?;
    let share = number(&spread, "delivered_per_s")? / number(&one, "delivered_per_s")?;
    Ok(vec![share * 100.0, cpu(&spread)? - cpu(&one)?])
}

/// Most of some rates at which the open loop keeps up. The closed loop's figure is not it: what one sender has waiting
/// goes out at once there, which costs less a message.
fn capacity(lab: &mut Lab) -> Result<f64> {
    let mut most = 0.0;
    for rate in (1..=12).map(|n| f64::from(n) * 5_000.0) {
        let report = lab.run(ONE, &format!("pairs --pairs 100 --rate {rate}"), 4)?;
        let p99_ms = quantile(&report, "send_to_deliver_us", "p99")? / 1_000.0;
        if number(&report, "delivered_per_s")? < rate * 0.99 || p99_ms > 100.0 {
            break;
        }
        most = rate;
    }
    anyhow::ensure!(most > 0.0, "it keeps up with no rate");
    Ok(most)
}

/// Memory that a server once had is used again: accounts are registered by one, connections held by the next.
fn idle(lab: &mut Lab, setting: Setting) -> Result<Vec<f64>> {
    lab.run(setting, IDLE, 0)?;
    lab.restart(setting)?;
    let report = lab.run(setting, IDLE, 5)?;
    Ok(vec![number(&report, "bytes_per_connection")? / 1_024.0])
}

/// What 1,000 messages cost all servers, the database and a broker.
fn cpu(report: &Value) -> Result<f64> {
    let cpu = &report["cpu_s_per_1000"];
    let parts = ["servers", "database", "bus"].map(|part| cpu[part].as_f64().unwrap_or(0.0));
    number(cpu, "servers")?;
    Ok(parts.iter().sum())
}
