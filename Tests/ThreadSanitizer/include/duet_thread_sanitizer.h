// Shows the thread sanitizer how Swift's reference counts order threads, in the program that this is linked into.
#ifndef DUET_THREAD_SANITIZER_H
#define DUET_THREAD_SANITIZER_H

// Whether the program is built with the sanitizer and it sees the counts.
int duet_sees_reference_counts(void);

#endif
