/* The bare limit: takes messages with QoS 1 by libmosquitto, as fast as it can, and drops them.
 *
 *   subscribe PORT USER PASSWORD MESSAGES FILTER...
 *
 * Prints "ready" when the broker has answered SUBSCRIBE, and "done" at the last message.
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long wanted, taken, granted;

static void on_subscribe(struct mosquitto *client, void *data, int mid, int count,
                         const int *qos) {
    (void)client, (void)data, (void)mid, (void)count;
    if (qos[0] != 1) exit(3);
    granted++;
}

static void on_message(struct mosquitto *client, void *data,
                       const struct mosquitto_message *message) {
    (void)client, (void)data, (void)message;
    taken++;
}

int main(int count, char **arguments) {
    if (count < 6) return fputs("subscribe PORT USER PASSWORD MESSAGES FILTER...\n", stderr), 2;
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(arguments[2], true, NULL);
    mosquitto_username_pw_set(client, arguments[2], arguments[3]);
    mosquitto_message_callback_set(client, on_message);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    wanted = strtoul(arguments[4], NULL, 10);
    if (mosquitto_connect(client, "127.0.0.1", atoi(arguments[1]), 60)) return 1;
    for (int n = 5; n < count; n++) mosquitto_subscribe(client, NULL, arguments[n], 1);
    int ready = 0;
    while (taken < wanted) {
        if (mosquitto_loop(client, 1000, 1)) return 1;
        if (!ready && granted == (unsigned long)count - 5) {
            ready = puts("ready") >= 0;
            fflush(stdout);
        }
    }
    puts("done");
    fflush(stdout);
    mosquitto_disconnect(client);
    while (mosquitto_loop(client, 100, 1) == MOSQ_ERR_SUCCESS) {}
    return 0;
}
