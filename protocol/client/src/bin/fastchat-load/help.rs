//! What the long help of every mode ends with.

/// Examples, figures, exit codes: the last part of `--help`.
macro_rules! help {
    ($examples:literal) => {
        concat!(
            "Examples:\n",
            $examples,
            "\n\n",
            "Exit codes:\n",
            "  0  done, and nothing is missing, doubled or out of order\n",
            "  1  something is, a connection was lost, or the fleet refused\n",
            "  2  wrong usage\n",
            "  3  can't connect\n",
            "\n",
            "Environment:\n",
            "  FASTCHAT_BALANCER          like --balancer\n",
            "  FASTCHAT_ADMIN_URL         like --admin-url\n",
            "  FASTCHAT_ADMIN_TOKEN_FILE  like --token-file"
        )
    };
}
