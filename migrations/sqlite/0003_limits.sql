-- One row: what clients may take. What the document leaves out is as programs have it by default.
CREATE TABLE limits (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    document   TEXT    NOT NULL,
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO limits (id, document, generation) VALUES (1, '{}', 1);
