//! The migrations, embedded, in order. A new one is one SQL file for each kind
//! of database and one line here.

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Counts 1, 2, 3 …; the schema's version once it is applied.
    pub version: i64,
    /// Its file's name without number and ending.
    pub name: &'static str,
    /// The oldest version that a program may know to work on this schema.
    pub compatible_from: i64,
    /// What it does to SQLite.
    pub sqlite: &'static str,
    /// What it does to PostgreSQL.
    pub postgres: &'static str,
}

/// All of them.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "chat",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0001_chat.sql"),
        postgres: include_str!("../postgres/0001_chat.sql"),
    },
    Migration {
        version: 2,
        name: "control",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0002_control.sql"),
        postgres: include_str!("../postgres/0002_control.sql"),
    },
    Migration {
        version: 3,
        name: "limits",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0003_limits.sql"),
        postgres: include_str!("../postgres/0003_limits.sql"),
    },
    Migration {
        version: 4,
        name: "blob_sweep",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0004_blob_sweep.sql"),
        postgres: include_str!("../postgres/0004_blob_sweep.sql"),
    },
    Migration {
        version: 5,
        name: "bus",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0005_bus.sql"),
        postgres: include_str!("../postgres/0005_bus.sql"),
    },
    Migration {
        version: 6,
        name: "steering",
        compatible_from: 1,
        sqlite: include_str!("../sqlite/0006_steering.sql"),
        postgres: include_str!("../postgres/0006_steering.sql"),
    },
];

/// The schema that this program knows.
#[must_use]
pub fn known_version() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_and_compatibility_never_points_forward() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version), Ok(index + 1), "{}", migration.name);
            assert!((1..=migration.version).contains(&migration.compatible_from), "{}", migration.name);
        }
    }

    #[test]
    fn every_step_has_a_file_of_its_name_for_each_kind_of_database() {
        let embedded: Vec<String> = MIGRATIONS.iter().map(|m| format!("{:04}_{}.sql", m.version, m.name)).collect();
        for kind in ["sqlite", "postgres"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(kind);
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, embedded, "{kind}");
        }
    }
}
