-- How servers reach each other: mesh, or a broker's URL, which may hold a password.
ALTER TABLE cluster ADD COLUMN bus TEXT NOT NULL DEFAULT 'mesh';
