// The task watchdog: the board restarts where the polling task hangs.
#pragma once

namespace noctis::esp {

// Watches the task that calls it, from now on.
void start_watchdog();
void feed_watchdog();

}  // namespace noctis::esp
