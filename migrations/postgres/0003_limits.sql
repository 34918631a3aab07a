-- One row: what clients may take. What the document leaves out is as programs have it by default.
CREATE TABLE limits (
    id         bigint PRIMARY KEY CHECK (id = 1),
    document   text   NOT NULL,
    generation bigint NOT NULL
);
INSERT INTO limits (id, document, generation) VALUES (1, '{}', 1);
