/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Included before everything else: how many CPUs the unpacker under test sees, and whether it can have threads. */
#include <pthread.h>
#include <sched.h>

int test_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
#define sched_getaffinity test_getaffinity
int test_create_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *userdata);
#define pthread_create test_create_thread
