// What is wired to which pin; docs/first-device.md shows it. Each can be set by a build flag.
#pragma once

#include <sdkconfig.h>

#if CONFIG_IDF_TARGET_ESP32S3
#define NOCTIS_PIN(esp32, esp32s3) (esp32s3)
#else
#define NOCTIS_PIN(esp32, esp32s3) (esp32)
#endif

#ifndef NOCTIS_BUTTON
#define NOCTIS_BUTTON 0  // the boot button of every board here, to ground
#endif
#ifndef NOCTIS_RADAR_RX
#define NOCTIS_RADAR_RX NOCTIS_PIN(16, 18)  // from the radar's TX
#endif
#ifndef NOCTIS_RADAR_TX
#define NOCTIS_RADAR_TX NOCTIS_PIN(17, 17)
#endif
#ifndef NOCTIS_I2C_SDA
#define NOCTIS_I2C_SDA NOCTIS_PIN(21, 8)
#endif
#ifndef NOCTIS_I2C_SCL
#define NOCTIS_I2C_SCL NOCTIS_PIN(22, 9)
#endif
#ifndef NOCTIS_SPI_SCK
#define NOCTIS_SPI_SCK NOCTIS_PIN(18, 12)
#endif
#ifndef NOCTIS_SPI_MISO
#define NOCTIS_SPI_MISO NOCTIS_PIN(19, 13)
#endif
#ifndef NOCTIS_SPI_MOSI
#define NOCTIS_SPI_MOSI NOCTIS_PIN(23, 11)
#endif
#ifndef NOCTIS_SPI_CS
#define NOCTIS_SPI_CS NOCTIS_PIN(5, 10)
#endif
