-- How the strategy and the clients are steered, as JSON. None: the strategy stands, nothing is balanced anew,
-- and a server is drained at the usual pace.
ALTER TABLE balancing ADD COLUMN trial TEXT;
ALTER TABLE balancing ADD COLUMN rebalance TEXT;
ALTER TABLE instances ADD COLUMN goal_pace TEXT;
